"""What a training run spends: parameters, epsilon, calibration, Gaussian DP and audits."""
