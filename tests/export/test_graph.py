"""What a traced network is made of."""

from hrtoolkit.export.graph import trace
from tests.runtime.exporting import small_model


def test_heads_have_contiguous_weights():
    # With others AOTInductor reads the masks of a varying number of boxes across their classes.
    model = small_model("classification/hrnet_toy", scheme=["ant", "bee", "wasp"])
    weights = trace(model, [""]).program.state_dict
    kernels = {name: one for name, one in weights.items() if ".head." in name and one.shape[2:] == (3, 3)}
    assert kernels and all(one.is_contiguous() for one in kernels.values())
