"""What the door is made of: the gate that every request passes, tokens, cookies, the issuer."""
