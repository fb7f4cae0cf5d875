"""PrivacyEvaluator: attacks the trained model and says how sure it is of what it found."""
