"""The clinic reads other people's scripts, messages and models; the equation never imports it."""
