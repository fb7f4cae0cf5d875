"""The five models of `benchmarks.workloads` in torch, from layers that Opacus knows per-example gradients of."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks import workloads


class _MeanOverTokens(nn.Module):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.mean(dim=1)


class _WideTabular(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(workloads.CATEGORY_VOCABULARY, workloads.CATEGORY_WIDTH)
            for _ in range(workloads.NUM_CATEGORIES)
        )
        width = workloads.NUM_CATEGORIES * workloads.CATEGORY_WIDTH + workloads.NUM_CATEGORY_NUMBERS
        self.dense = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, categories: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        embedded = [embedding(categories[:, column]) for column, embedding in enumerate(self.embeddings)]
        return self.dense(torch.cat([*embedded, numbers], dim=1))


class _SelfAttention(nn.Module):
    """`nn.MultiheadAttention` keeps its weights where Opacus cannot see them; this is its arithmetic on Linear layers."""

    def __init__(self) -> None:
        super().__init__()
        width = workloads.EMBEDDING_WIDTH
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._by_head(part(hidden)) for part in (self.query, self.key, self.value))
        attention = torch.softmax(query @ key.transpose(-1, -2) * workloads.HEAD_WIDTH**-0.5, dim=-1)
        return self.output((attention @ value).transpose(1, 2).flatten(start_dim=2))

    def _by_head(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(-1, (workloads.NUM_HEADS, workloads.HEAD_WIDTH)).transpose(1, 2)


class _Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width, inner = workloads.EMBEDDING_WIDTH, workloads.FEED_FORWARD_WIDTH
        self.embedding = nn.Embedding(workloads.VOCABULARY, width)
        self.attention = _SelfAttention()
        self.after_attention = nn.LayerNorm(width, eps=1e-3)
        self.feed_forward = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.after_feed_forward = nn.LayerNorm(width, eps=1e-3)
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(tokens)
        hidden = self.after_attention(hidden + self.attention(hidden))
        hidden = self.after_feed_forward(hidden + self.feed_forward(hidden))
        return self.head(hidden.mean(dim=1))


def _tabular() -> nn.Module:
    first = nn.Linear(workloads.NUM_NUMBERS, 256)
    return nn.Sequential(first, nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 1))


def _images() -> nn.Module:
    # TensorFlow's "same" padding of 28 pixels for 8 wide filters and stride 2 is three on each side.
    return nn.Sequential(
        nn.Conv2d(1, 16, 8, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Conv2d(16, 32, 4, stride=2), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def _text() -> nn.Module:
    width = workloads.EMBEDDING_WIDTH
    embedding = nn.Embedding(workloads.VOCABULARY, width)
    return nn.Sequential(embedding, _MeanOverTokens(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 2))


_MODELS = {"W1": _tabular, "W2": _images, "W3": _text, "W4": _WideTabular, "W5": _Transformer}


def build_model(name: str, *, seed: int = 1) -> nn.Module:
    """Builds a workload's model, with torch's own initial weights."""
    torch.manual_seed(seed)
    return _MODELS[name]()


def make_batch(name: str, batch_size: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """The batch of `workloads.make_batch` as torch takes it: a tuple of inputs, channels first, class labels int64."""
    features, labels = workloads.make_batch(name, batch_size)
    arrays = features if isinstance(features, tuple) else (features,)
    inputs = tuple(torch.from_numpy(array) for array in arrays)
    if name == "W2":
        # Not by `permute`, whose strides make convolutions answer channels last, which Opacus'
        # convolution rule misreads.
        inputs = (inputs[0].reshape(batch_size, 1, 28, 28),)
    if workloads.WORKLOADS[name].is_binary:
        return inputs, torch.from_numpy(labels)[:, 0]
    return inputs, torch.from_numpy(labels).long()
