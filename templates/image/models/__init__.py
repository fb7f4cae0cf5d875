"""The module that Transform and DPTrainer load; keep it alone in this folder, because TFX packages every module that lies here."""
