"""The published means over all tokens, against literal ones."""

import numpy as np
import pytest
import torch

import zoo
from distillation_dynamics import metrics
from distillation_dynamics.metrics import entropy, published
from distillation_dynamics.networks.answers import run
from distillation_dynamics.outputs import Prefix, Request
from distillation_dynamics.spec.measure import Settings
from streams import measure, outputs_of

FEATURES = [np.random.default_rng(n).normal(size=(5, c, 2, 3)).astype(np.float32) for n, c in enumerate((8, 12))]


def with_prefix(classes, registers):
    """Batches of features whose blocks hold so many other tokens, far larger than patches."""
    generator = torch.Generator().manual_seed(0)
    prefix = {
        number: Prefix(
            *(9 * torch.randn(5, count, len(block[0]), generator=generator) for count in (classes, registers))
        )
        for number, block in enumerate(FEATURES)
    }
    whole = outputs_of(FEATURES, prefix=prefix)
    parts = []
    for part in (slice(0, 2), slice(2, 5)):
        cut = {number: Prefix(of.classes[part], of.registers[part]) for number, of in prefix.items()}
        parts.append(outputs_of([block[part] for block in FEATURES], prefix=cut))
    return whole, parts


def tokens_of(whole):
    """All tokens of each block, [B, N, C], the patches first."""
    for number, block in enumerate(FEATURES):
        patches = block.reshape(*block.shape[:2], -1).swapaxes(1, 2)
        yield np.concatenate([patches, whole.prefix[number].registers, whole.prefix[number].classes], axis=1)


@pytest.mark.parametrize("classes, registers", [(1, 0), (2, 0), (1, 4), (0, 3)])
def test_all_tokens_are_those_of_class_distillation_registers_and_patches(classes, registers):
    whole, batches = with_prefix(classes, registers)
    found = measure(published.Metric(Settings(entropy_bins=50)), batches)
    assert set(found) == set(published.IMAGE_COLUMNS)
    tokens = list(tokens_of(whole))
    low, high = min(part.min() for part in tokens), max(part.max() for part in tokens)
    for number, of_block in enumerate(tokens):
        wide = of_block.astype(np.float64)
        amplitude = np.abs(np.fft.fft(wide, axis=2)) / wide.shape[2]
        np.testing.assert_allclose(found["intensity_all_tokens"][number], amplitude.mean(axis=(1, 2)), rtol=1e-6)
        np.testing.assert_allclose(found["activation_magnitude_all_tokens"][number], np.abs(wide).mean(axis=(1, 2)))
        for image, of_image in enumerate(of_block):
            bits = []
            for token in of_image:
                counts, _ = np.histogram(token, bins=50, range=(low, high))
                share = counts[counts > 0] / len(token)
                bits.append(-(share * np.log2(share)).sum())
            np.testing.assert_allclose(found["entropy_all_tokens"][number][image], np.mean(bits), atol=1e-12)


@pytest.mark.parametrize("prefix", [{}, {0: Prefix(torch.empty(5, 0, 8), torch.empty(5, 0, 8))}])
def test_blocks_without_other_tokens_have_the_means_over_patches(prefix):
    found = measure(published.Metric(), [outputs_of(FEATURES, prefix=prefix)])
    patches = measure(entropy.Metric(), [FEATURES])
    np.testing.assert_array_equal(found["entropy_all_tokens"], patches["entropy"])
    for number, block in enumerate(FEATURES):
        scalars = metrics.measure("magnitude", [block])["activation_magnitude"][0]
        np.testing.assert_array_equal(found["activation_magnitude_all_tokens"][number], scalars)
    np.testing.assert_allclose(found["intensity_all_tokens"], metrics.measure("spectrum", FEATURES)["intensity"])


def test_a_network_with_registers_gives_all_its_tokens():
    network, images = zoo.network("registers", 16, classes=0, depth=1), zoo.images(1, 16).float()
    with torch.no_grad():
        outputs = run(network, images, Request.of(published.REQUIRES))
        stream = network.blocks[0](network._pos_embed(network.patch_embed(images)))
    found = measure(published.Metric(), [outputs])
    assert stream.shape[1] == 8
    np.testing.assert_allclose(found["activation_magnitude_all_tokens"], [[stream.abs().mean()]], rtol=1e-6)


def test_nan_is_an_error_that_names_block_and_image():
    whole, _ = with_prefix(1, 0)
    whole.prefix[1].classes[3] = torch.nan
    with pytest.raises(ValueError, match="block 1, image 3"):
        published.Metric().update(whole)
