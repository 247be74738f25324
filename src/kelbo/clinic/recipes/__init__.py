"""The recipes lab: every way of attaching the KL loss, tried in its own time.

`catalogue` knows the recipes, `environments` where they can be tried; `matrix.Lab` tries them, and
`probe.py`, which runs inside an environment and imports nothing of kelbo, measures. This package
imports no framework: what a recipe has to reach comes from `kelbo.clinic.recipes.reference`.
"""
