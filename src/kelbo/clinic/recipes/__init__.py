"""The recipes lab: every way of attaching the KL loss, tried with the software of its time.

`catalogue` knows the recipes, `environments` where they can be tried; `matrix.Lab` tries them, and
`probe.py` measures, inside an environment and without importing kelbo. Only
`kelbo.clinic.recipes.reference` imports a framework: it computes what a recipe has to reach.
"""
