"""Epsilon of a Poisson-sampled Gaussian mechanism by a contour integral: an oracle that shares nothing with dp-accounting.

With K(z) = log E_P[exp(z L)] of the privacy loss L of all steps together, for any c > 0

    delta(eps) = E_P[(1 - exp(eps - L))+] = 1/(2 pi i) int_{c - i inf}^{c + i inf} exp(K(z) - z eps) / (z (z + 1)) dz

(Alghamdi et al. 2022, https://arxiv.org/abs/2208.09595, Theorem 3.1). Through the saddle point nothing oscillates and
nothing cancels: the error is relative, about steps times 1e-16, where that of a Fourier transform of the distribution is
absolute. It is valid where the characteristic function of L falls off within the nodes, which is checked: for
many steps, where L is nearly normal.
"""

import math
from typing import Any

import numpy as np
from scipy import integrate, optimize

_NODES, _WIDTHS = 400, 12.0
_LINES = np.geomspace(1e-2, 1e4, 121)


def exact_epsilon(*, noise: float, probability: float, steps: int, delta: float) -> float:
    """The larger of both directions; relative error about 1e-6 for 10^6 steps."""
    return max(_epsilon(noise, probability, steps, delta, side) for side in ("remove", "add"))


def _epsilon(noise: float, probability: float, steps: int, delta: float, side: str) -> float:
    with np.errstate(all="ignore"):
        # One line at a time: the grid of x follows the largest power.
        moments = np.array([_log_moment(noise, probability, steps, np.array([c]), side)[0] for c in _LINES])
    usable = np.isfinite(moments)
    lines, moments = _LINES[usable], moments[usable]

    def heights(epsilon: float) -> np.ndarray:
        """Logarithm of the integrand where it crosses the real axis; its least is at the saddle point."""
        return np.asarray(moments - lines * epsilon - np.log(lines * (lines + 1)))

    high = 1.0
    while heights(high).min() > math.log(delta):
        high *= 2
    nearly = optimize.brentq(lambda epsilon: heights(epsilon).min() - math.log(delta), high / 1e6, high)
    c = float(lines[heights(nearly).argmin()])
    near = np.array([0.999 * c, c, 1.001 * c])
    values = _log_moment(noise, probability, steps, near, side) - np.log(near * (near + 1))
    curvature = (values[0] - 2 * values[1] + values[2]) / (0.001 * c) ** 2
    nodes = np.linspace(0.0, _WIDTHS / math.sqrt(curvature), _NODES)
    z = c + 1j * nodes
    exponents = _log_moment(noise, probability, steps, z, side) - np.log(z * (z + 1))
    if not abs(np.exp(exponents[-1] - exponents[0])) < 1e-12:
        raise ValueError("The integrand does not fall off: there are too few steps.")

    def excess(epsilon: float) -> float:
        integrand = np.exp(exponents - z * epsilon - math.log(delta)).real
        return float(integrate.trapezoid(integrand, nodes)) / math.pi - 1.0

    return float(optimize.brentq(excess, nearly / 20, nearly * 4, xtol=1e-12, rtol=1e-10))


def _log_moment(noise: float, probability: float, steps: int, z: Any, side: str) -> Any:
    """K(z), of shape (num_z,); first orders, which cancel in the expectation, are taken off before they are added up."""
    reach = float(np.max(np.real(z))) + 1.0
    x = np.linspace(-14.0 * noise, reach + 14.0 * noise, 2001)
    density = np.exp(-0.5 * (x / noise) ** 2) / (noise * math.sqrt(2 * math.pi)) * (x[1] - x[0])
    loss = np.log1p(probability * np.expm1((2 * x - 1) / (2 * noise**2)))
    power = z[:, np.newaxis] + 1 if side == "remove" else -z[:, np.newaxis]
    return steps * np.log1p((np.expm1(power * loss) - power * np.expm1(loss)) @ density)
