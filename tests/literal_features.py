"""Objectives on features as their publications define them, by loops over images, places and channels in float64."""

import numpy as np
import torch

from distillation_dynamics.metrics.pairs.cka import unbiased_cka


def patches(block):
    """Patches [B, N, C] of features [B, C, H, W], laid out one by one."""
    images, channels, rows, columns = block.shape
    laid = np.empty((images, rows * columns, channels))
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                laid[image, row * columns + column] = block[image, :, row, column]
    return laid


def mapped(term, rows, pair=0):
    """Rows [..., C] through the map of a term."""
    layer = term.projections[pair]
    weight = layer.weight.detach().numpy()
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return np.array([[weight @ row + bias for row in image] for image in rows])


def huber(x):
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def cosine(a, b):
    return sum(a * b) / np.sqrt(sum(a * a)) / np.sqrt(sum(b * b))


def literal_mse(term, s, t):
    ours = mapped(term, patches(s))
    return np.mean([(a - b) ** 2 for a, b in zip(ours.ravel(), patches(t).ravel(), strict=True)])


def literal_cosine(term, s, t):
    ours = mapped(term, patches(s))
    found = [[1 - cosine(a, b) for a, b in zip(*image, strict=True)] for image in zip(ours, patches(t), strict=True)]
    return np.mean(found)


def literal_vkd(term, s, t):
    total = 0.0
    ours = mapped(term, np.array([[image.mean(axis=0)] for image in patches(s)]))[:, 0]
    for own, image in zip(ours, patches(t), strict=True):
        mean = image.mean(axis=0)
        target = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
        total += np.mean([huber(a - b) for a, b in zip(own, target, strict=True)])
    return total / len(s)


def literal_at(term, s, t, power=2.0):
    total = 0.0
    for image in range(len(s)):
        maps = []
        for block in (s, t):
            q = np.array([sum(abs(x) ** power for x in patch) for patch in patches(block)[image]])
            maps.append(q / np.sqrt(sum(q * q)))
        total += sum((maps[0] - maps[1]) ** 2)
    return total / len(s)


def gram(rows):
    return np.array([[cosine(a, b) for b in rows] for a in rows])


def literal_gram(term, s, t):
    ours, theirs = patches(s), patches(t)
    return np.mean([(gram(a) - gram(b)) ** 2 for a, b in zip(ours, theirs, strict=True)])


def literal_gram_of_images(term, s, t):
    ours, theirs = patches(s).transpose(1, 0, 2), patches(t).transpose(1, 0, 2)
    return np.mean([(gram(a) - gram(b)) ** 2 for a, b in zip(ours, theirs, strict=True)])


def literal_gram_of_random(term, s, t):
    torch.manual_seed(0)
    places = torch.randperm(len(s) * 12)[:7].tolist()
    ours, theirs = (gram([of[place // 12, place % 12] for place in places]) for of in (patches(s), patches(t)))
    return np.mean((ours - theirs) ** 2)


def literal_rkd(term, s, t, distance=25.0, angle=50.0):
    ours, theirs = (np.array([image.mean(axis=0) for image in patches(of)]) for of in (s, t))
    n = len(ours)
    far = [[[np.sqrt(sum((a - b) ** 2)) for b in of] for a in of] for of in (ours, theirs)]
    far = [np.array(of) / np.mean([d for row in of for d in row if d > 0]) for of in far]
    distances = np.mean([[huber(far[0][i, j] - far[1][i, j]) for j in range(n)] for i in range(n)])
    total = 0.0
    for j in range(n):
        for i in range(n):
            for k in range(n):
                cosines = [0.0 if j in (i, k) else cosine(of[i] - of[j], of[k] - of[j]) for of in (ours, theirs)]
                total += huber(cosines[0] - cosines[1])
    return distance * distances + angle * total / n**3


def literal_cka(term, s, t):
    return 1 - unbiased_cka(*(np.array([image.mean(axis=0) for image in patches(of)]) for of in (s, t)))


def convolved(layer, block):
    """A convolution of [B, C, H, W] with zeros around, place by place."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    out, reach = np.empty((len(block), len(weight), *block.shape[2:])), weight.shape[2] // 2
    wide = np.pad(block, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    for image in range(len(block)):
        for row in range(block.shape[2]):
            for column in range(block.shape[3]):
                near = wide[image, :, row : row + weight.shape[2], column : column + weight.shape[3]]
                out[image, :, row, column] = (weight * near).sum(axis=(1, 2, 3)) + bias
    return out


def generated(layers, block):
    return convolved(layers[2], np.maximum(convolved(layers[0], block), 0))


def literal_mgd(term, s, t, masked=0.5, alpha=7e-5, over="places"):
    torch.manual_seed(0)
    drawn = torch.rand((5, 1, 3, 4) if over == "places" else (5, 10, 1, 1)).numpy()
    ours = convolved(term.aligned[0], s) * np.where(drawn < masked, 0, 1)
    return alpha * np.sum((generated(term.generators[0], ours) - t) ** 2) / len(s)


def literal_mimicry(term, s, t, alpha=3e-5):
    return alpha * np.sum((convolved(term.aligned[0], s) - t) ** 2) / len(s)


def literal_generation(term, s, t, masked=0.5, beta=3e-6):
    torch.manual_seed(0)
    noise = torch.rand((5, 12)).numpy()
    ours, token = convolved(term.aligned[0], s), term.mask_tokens[0].detach().numpy()[:, 0, 0]
    mask = np.zeros((5, 1, 3, 4))
    for image in range(5):
        # The largest numbers are masked.
        for place in np.argsort(noise[image])[int(12 * (1 - masked)) :]:
            mask[image, 0, place // 4, place % 4] = 1
            ours[image, :, place // 4, place % 4] = token
    return beta / masked * np.sum((mask * (generated(term.generators[0], ours) - t)) ** 2) / 5
