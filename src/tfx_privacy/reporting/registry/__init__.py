"""An entry of the Differential Privacy Deployments Registry, https://github.com/opendp/deployments-registry-data.

What follows from the evidence is filled in; what only a person knows is `declared`, and what nobody said is to be filled in.
"""
