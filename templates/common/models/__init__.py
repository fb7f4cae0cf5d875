"""The module that Transform and DPTrainer load; keep it alone here: TFX packages every module of this folder."""
