"""A model of text: the next character from the characters before it."""

import torch
from torch import Tensor, nn

EMBEDDING = 8
HIDDEN = 180


class CharMlp(nn.Module):
    """Embeds each of `context` characters in 8 numbers; 180 hidden units; a logit a character.

    Bengio, Ducharme, Vincent, Jauvin, JMLR 3, 2003, for words, without the direct connections.
    With a context of 10 and 65 characters it has 26,865 parameters.
    """

    def __init__(self, context: int, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, EMBEDDING)
        self.hidden = nn.Linear(EMBEDDING * context, HIDDEN)
        self.output = nn.Linear(HIDDEN, characters)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, characters] of contexts `x` [N, context]: whole numbers, as floats."""
        embedded = self.embedding(x.long()).flatten(1)
        logits: Tensor = self.output(torch.relu(self.hidden(embedded)))
        return logits
