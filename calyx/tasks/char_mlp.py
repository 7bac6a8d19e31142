"""A model of text: the next character from the characters before it."""

import torch
from torch import Tensor, nn

from calyx.errors import ConfigError

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
        self._is_checked = False

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, characters] of contexts `x` [N, context]: whole numbers, as floats.

        Raises ConfigError where the first batch holds other numbers: preprocessing changed them.
        """
        indices = x.long()
        if not self._is_checked:  # once: on a GPU each look waits for the device
            self._check(x, indices)
        embedded = self.embedding(indices).flatten(1)
        logits: Tensor = self.output(torch.relu(self.hidden(embedded)))
        return logits

    def _check(self, x: Tensor, indices: Tensor) -> None:
        known = (indices >= 0) & (indices < self.embedding.num_embeddings) & (indices == x)
        if not bool(known.all()):
            raise ConfigError(
                "A model of characters takes their numbers as they are; use "
                "preprocessing.scaling=none and preprocessing.outliers=keep."
            )
        self._is_checked = True
