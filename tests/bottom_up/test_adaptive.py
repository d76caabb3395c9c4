import pytest
import torch

from hrtoolkit.tasks.bottom_up.adaptive import AdaptiveBlock, _deform, _sample, adaptive_conv, find_taps, regular_grid

# What the official block gives of the input and the weights below.
OFFSETS = [
    *(0.434457286332, -0.610175769084, 0.26950857237, -0.662093251836, 0.104559858408, -0.714010734588),
    *(0.517797239183, -0.247225822303, 0.352848525221, -0.299143305054, 0.187899811259, -0.351060787806),
    *(0.601137192034, 0.115724124479, 0.436188478072, 0.063806641727, 0.27123976411, 0.011889158975),
]
OUTPUT = [
    *(0.555625495287, 1.156577380417, 1.461693445653, 1.655012741622, 1.658090314637),
    *(0.909652582349, 1.454540032395, 1.509517912712, 1.512723971603, 1.377843126622),
    *(1.352411977720, 1.654812106540, 1.558933628066, 1.425864830062, 1.191260912720),
    *(1.511674153100, 1.535614946484, 1.295718088772, 1.071787399412, 0.762583518000),
    *(0.045864364970, 0.051435423711, 0.152444998329, 0.218970119731, 0.344483331185),
    *(0.446469169415, 0.361358751412, 0.501232994102, 0.517361544865, 0.486502591725),
    *(0.538612374633, 0.477942549203, 0.471277192139, 0.300571057757, 0.064114015532),
    *(0.474562057121, 0.327566202322, 0.184116763395, 0, 0),
]


def count(*shape):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).view(shape)


def official_block():
    """One group of two channels, and its input [1, 2, 4, 5]."""
    block = AdaptiveBlock(2, 1).double().eval()
    matrix, shift = 0.1 * (count(4, 2, 3, 3) + 1).sin(), 0.1 * count(2, 2, 3, 3).cos()
    affine = block.transform_matrix_conv
    affine.weight.data = torch.cat([matrix[:2], shift[:1], matrix[2:], shift[1:]])
    affine.bias.data = torch.tensor([1.1, -0.2, 0.4, 0.3, 0.9, -0.3], dtype=torch.float64)
    block.adapt_conv.weight.data = 0.3 * (0.5 * count(2, 2, 3, 3) + 0.2).sin()
    for name, values in dict(weight=(1, 0.8), bias=(0.05, -0.1), running_mean=(0.02, 0.03)).items():
        getattr(block.bn, name).data[:] = torch.tensor(values)
    block.bn.running_var[:] = torch.tensor([0.9, 1.1])
    channel, row, column = count(2)[:, None, None], count(4)[:, None], count(5)
    return block, (0.7 * channel + 0.5 * row + 0.3 * column).sin()[None]


def test_taps_and_output_are_the_official_ones():
    block, x = official_block()
    with torch.no_grad():
        taps = find_taps(block.transform_matrix_conv(x))
        output = block(x)
    offsets = (taps[0, 0, :, :, 1, 2] - regular_grid(x)).T.flatten()  # of row 1, column 2
    assert torch.allclose(offsets, torch.tensor(OFFSETS, dtype=torch.float64), atol=1e-11)
    assert torch.allclose(output.flatten(), torch.tensor(OUTPUT, dtype=torch.float64), atol=1e-11)


def test_a_new_block_reads_the_pixel_itself():
    taps = find_taps(AdaptiveBlock(2, 1).transform_matrix_conv(torch.randn(1, 2, 4, 5)))
    assert (taps == 0).all()


@pytest.mark.parametrize("size_hw", [(7, 9), (1, 5), (4, 1)])
def test_both_forms_agree_with_their_gradients_and_groups_stay_apart(size_hw):
    torch.manual_seed(0)
    x = torch.randn(2, 3 * 4, *size_hw, dtype=torch.float64, requires_grad=True)
    matrices = torch.randn(2, 3 * 6, *size_hw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(12, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for form in (_deform, _sample):
        output = form(x, find_taps(matrices), weight)
        results.append([output, *torch.autograd.grad(output.square().sum(), (x, matrices, weight))])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-10)
    alone = adaptive_conv(x[:, 4:8], matrices[:, 6:12], weight[4:8])
    assert torch.allclose(alone, results[0][0][:, 4:8], atol=1e-10)


def test_places_are_exact_in_bfloat16_and_under_autocast():
    block, x = official_block()
    block, x = block.float(), x.float()
    with torch.no_grad():
        expected = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = block(x)
        matrices = torch.zeros(1, 6, 1, 400, dtype=torch.bfloat16)
        ramp = torch.arange(400.0).bfloat16()[None, None, None]
        middle = torch.zeros(1, 1, 3, 3, dtype=torch.bfloat16)
        middle[..., 1, 1] = 1
        same = adaptive_conv(ramp, matrices, middle)
    assert (mixed - expected).abs().max() < 0.03
    assert same.dtype == torch.bfloat16 and torch.equal(same, ramp)  # each pixel reads itself


def test_the_layout_of_memory_makes_no_difference():
    block, x = official_block()
    with torch.no_grad():
        expected = block(x)
        last = block.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(last, expected)
