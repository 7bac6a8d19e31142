"""Tables of other people's, not prepared for Calyx: what comes out with no key but the data."""
