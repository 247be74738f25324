"""Normalising flows: invertible maps of z with parameters that are learned."""

from kelbo.flows.autoregressive import InverseAutoregressiveFlow, MaskedAutoregressiveFlow
from kelbo.flows.flow import Flow
from kelbo.flows.householder import HouseholderFlow
from kelbo.flows.planar import PlanarFlow
from kelbo.flows.radial import RadialFlow
from kelbo.flows.real_nvp import RealNVPFlow

__all__ = [
    "Flow",
    "HouseholderFlow",
    "InverseAutoregressiveFlow",
    "MaskedAutoregressiveFlow",
    "PlanarFlow",
    "RadialFlow",
    "RealNVPFlow",
]
