"""Trains a small network on demobirds, on CPU, in under two minutes: the same to the last digit on every run.

    python examples/birds.py

The accuracy is printed beside the pin: what a reader needs to have the same images. (The birds are drawn: do not judge
anything else by it.)
"""

import torch
from torch import nn

import isn

SIZE, EPOCHS, BATCH, SEED = 48, 14, 32, 7

torch.manual_seed(SEED)
torch.use_deterministic_algorithms(True)
# Sums in another order have other last digits.
torch.set_num_threads(1)

train = isn.load("demobirds@1.0", split="train", size=SIZE)
val = isn.load(train.pin, split="val", size=SIZE)


def block(channels, to):
    return nn.Sequential(nn.Conv2d(channels, to, 3, padding=1), nn.BatchNorm2d(to), nn.ReLU(), nn.MaxPool2d(2))


model = nn.Sequential(
    block(3, 16), block(16, 32), block(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(train.classes))
)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
steps = EPOCHS * len(train.batches(BATCH))
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)


def floats(images):
    return (images.float() - 128) / 64


for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for images, labels in train.batches(BATCH, epoch=epoch, seed=SEED, crop="random", flip=True):
        loss = nn.functional.cross_entropy(model(floats(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item() * len(labels)
    print(f"epoch {epoch:2}  loss {total / len(train):.6f}")

model.eval()
right = 0
with torch.no_grad():
    for images, labels in val.batches(BATCH, shuffle="none"):
        right += (model(floats(images)).argmax(1) == labels).sum().item()
weights = torch.cat([p.detach().flatten() for p in model.parameters()]).double().sum().item()
print(f"accuracy {right / len(val):.4f} ({right} of {len(val)}), sum of weights {weights:.12f}")
print(f"data     {train.pin}")
