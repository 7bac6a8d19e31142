"""The same model behind other people's servers, each in an environment of its own."""
