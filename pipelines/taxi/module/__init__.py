"""The taxi pipeline's user module, alone in its folder because TFX packages the whole folder."""
