"""VerifyingPusher: TFX's Pusher, which pushes nothing that the gate's signed verdict does not name."""
