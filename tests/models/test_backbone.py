import logging

import pytest
import timm
import torch
from safetensors.torch import save_file

from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.errors import ConfigError
from specvit.models import LabelStats, build_model
from specvit.tasks import tasks_of

TASKS = tasks_of(["class"])
STATS = LabelStats(counts={"class": [5, 3, 2]}, known={"class": 10})
GREY = Render(size=64)
COLOUR = Render(size=64, mode="overlap")
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}


def build(backbone="test_vit", render=GREY, **settings):
    settings = {"pretrained": False, **settings}
    return build_model(Model(backbone=backbone, **settings), TASKS, render, STATS, Grid()).eval()


def pictures(n, channels, size=64):
    generator = torch.Generator().manual_seed(7)
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture
def weights(tmp_path):
    """A file of weights as published ones are: colour, 160 pixels, with a classifier, fp16."""
    torch.manual_seed(3)
    state = timm.create_model("test_vit").state_dict()
    path = tmp_path / "weights.safetensors"
    save_file({name: value.half() for name, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    ("backbone", "args"),
    [
        ("vit_base_patch16_224.dino", SMALL),
        ("vit_base_patch16_224.augreg_in21k_ft_in1k", SMALL),
        ("vit_base_patch16_224.mae", SMALL),
        ("vit_base_patch16_siglip_224.webli", SMALL),
        ("vit_small_patch14_dinov2.lvd142m", {**SMALL, "patch_size": 16}),
        ("vit_small_patch14_reg4_dinov2.lvd142m", {**SMALL, "patch_size": 16}),
        ("vit_base_patch16_clip_224.openai", SMALL),
        ("deit3_small_patch16_224.fb_in1k", SMALL),
        ("eva02_tiny_patch14_224.mim_in22k", {**SMALL, "patch_size": 16}),
    ],
)
@pytest.mark.parametrize("render", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_family_of_backbones_takes_pictures_of_any_size_and_channels(backbone, args, render):
    model = build(backbone, render, backbone_args=args, drop_path=0.1)
    outputs = model(pictures(2, render.channels))
    assert outputs["class"].shape == (2, 3)
    assert torch.isfinite(outputs["class"]).all()
    assert model.backbone.patch_embed.proj.in_channels == render.channels


def test_pictures_are_normalised_as_the_backbone_was_trained():
    siglip = build("vit_base_patch16_siglip_224.webli", COLOUR, backbone_args=SMALL)
    augreg = build("vit_base_patch16_224.mae", COLOUR, backbone_args=SMALL)
    assert siglip.mean.flatten().tolist() == pytest.approx([127.5] * 3)
    assert augreg.mean.flatten().tolist() == pytest.approx([0.485 * 255, 0.456 * 255, 0.406 * 255])
    assert augreg.std.flatten().tolist() == pytest.approx([0.229 * 255, 0.224 * 255, 0.225 * 255])


def test_a_local_file_loads_in_fp16_with_another_size_and_without_its_classifier(weights):
    model = build(pretrained=True, weights=str(weights), render=COLOUR)
    reference = timm.create_model(
        "test_vit",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(weights)},
        num_classes=0,
        img_size=64,
    ).eval()
    x = pictures(2, 3)
    normal = (x / 255 - torch.tensor([0.5] * 3).view(3, 1, 1)) / torch.tensor([0.5] * 3).view(
        3, 1, 1
    )
    assert torch.allclose(model.tokens(x)[0], reference(normal), atol=1e-5)
    assert model.backbone.pos_embed.shape[1] == 16 + 1


def test_a_grey_picture_gives_what_its_three_copies_give(weights):
    grey = build(pretrained=True, weights=str(weights))
    colour = build(pretrained=True, weights=str(weights), render=COLOUR)
    x = pictures(3, 1)
    assert torch.allclose(grey.tokens(x)[0], colour.tokens(x.expand(-1, 3, -1, -1))[0], atol=1e-5)


def test_a_projection_without_bias_is_folded_too(tmp_path):
    """CLIP's patch embedding has none; unequal means by channel then need one."""
    torch.manual_seed(4)
    backbone = "vit_base_patch16_clip_224.openai"
    file = tmp_path / "clip.safetensors"
    # CLIP's own checkpoints have another layout; this one is timm's.
    state = timm.create_model(backbone, num_classes=0, img_size=64, **SMALL).state_dict()
    save_file(state, file)
    same = {"pretrained": True, "weights": str(file), "backbone_args": SMALL}
    grey, colour = build(backbone, **same), build(backbone, COLOUR, **same)
    assert colour.backbone.patch_embed.proj.bias is None
    x = pictures(2, 1)
    assert torch.allclose(grey.tokens(x)[0], colour.tokens(x.expand(-1, 3, -1, -1))[0], atol=1e-5)


def test_patches_of_another_size_are_resampled_from_the_file(weights):
    model = build(pretrained=True, weights=str(weights), backbone_args={"patch_size": 8})
    assert model.backbone.patch_embed.proj.weight.shape == (64, 1, 8, 8)
    assert model.backbone.pos_embed.shape[1] == 64 + 1


def test_a_size_that_the_patches_do_not_divide_is_refused_with_sizes_that_would_do():
    with pytest.raises(ConfigError, match=r"render.size = 224 .* \(15 pixels\): use 210 or 225"):
        build(render=Render(size=224), backbone_args={"patch_size": 15})
    with pytest.raises(ConfigError, match="use 70 or 84"):
        build("vit_small_patch14_dinov2", Render(size=72), backbone_args=SMALL)
    with pytest.raises(ConfigError, match="use 32, or"):
        build(render=Render(size=16), backbone_args={"patch_size": 32})


@pytest.mark.parametrize("backbone", ["resnet18", "convnext_atto"])
def test_a_network_without_patches_is_refused(backbone):
    with pytest.raises(ConfigError, match=f"'{backbone}'"):
        build(backbone)


def test_an_unknown_argument_of_the_backbone_is_named():
    with pytest.raises(ConfigError, match="dept"):
        build(backbone_args={"dept": 3})


def test_arguments_that_follow_from_the_plots_cannot_be_set_twice():
    with pytest.raises(ConfigError, match="must not set in_chans"):
        build(backbone_args={"in_chans": 3})


def test_a_backbone_without_pooling_is_refused():
    with pytest.raises(ConfigError, match="remove global_pool"):
        build(backbone_args={"global_pool": ""})


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"model.weights = .*nothing.pth.*no such file"):
        build(pretrained=True, weights=str(tmp_path / "nothing.pth"))


def test_weights_of_another_network_are_refused_with_the_file_named(weights):
    with pytest.raises(ConfigError, match=r"model.weights = .*does not fit .*'test_vit2'"):
        build("test_vit2", pretrained=True, weights=str(weights))
    with pytest.raises(ConfigError, match=r"does not fit .*'embed_dim': 32.* size mismatch"):
        build(pretrained=True, weights=str(weights), backbone_args={"embed_dim": 32})


def test_weights_that_would_leave_a_part_of_the_network_random_are_refused(weights):
    with pytest.raises(ConfigError, match=r"'depth': 8.* lacks 24 .* first blocks.6.norm1.weight"):
        build(pretrained=True, weights=str(weights), backbone_args={"depth": 8})
    # Another pooling has a norm of its own, as in fine-tuning MAE.
    model = build(pretrained=True, weights=str(weights), backbone_args={"global_pool": "avg"})
    assert torch.all(model.backbone.fc_norm.weight == 1)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "page.safetensors"
    path.write_text("<html>")
    with pytest.raises(ConfigError, match="does not fit"):
        build(pretrained=True, weights=str(path))


def test_published_weights_are_asked_of_the_hub_by_tag(monkeypatch):
    asked = []

    def load(source, **kwargs):
        asked.append(source)
        return timm.create_model("test_vit").state_dict()

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", load)
    model = build("test_vit.r160_in1k", pretrained=True)
    assert asked == ["timm/test_vit.r160_in1k"]
    assert model.backbone.patch_embed.proj.in_channels == 1


def test_without_the_hub_a_sentence_names_the_way_out(monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    with pytest.raises(ConfigError, match=r"cannot be had .*not known.* model.weights"):
        build("test_vit.r160_in1k", pretrained=True)


def test_a_backbone_without_published_weights_says_so(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match=r"vit_tiny_patch16_224.nothing"):
        build("vit_tiny_patch16_224.nothing", pretrained=True)


def test_drop_path_rises_linearly_to_the_last_block():
    model = build(drop_path=0.2)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in model.backbone.blocks]
    assert rates == pytest.approx([0.04 * i for i in range(6)])


def test_real_dinov2_weights_give_timms_own_features(real_weights):
    """The shared DINOv2 file at 224 pixels, three channels; and folded to one channel."""
    settings = {"pretrained": True, "weights": str(real_weights)}
    name = "vit_small_patch14_dinov2.lvd142m"
    reference = timm.create_model(
        name,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(real_weights)},
        img_size=224,
        num_classes=0,
    ).eval()
    x = pictures(1, 3, 224)
    data = reference.pretrained_cfg
    mean, std = (torch.tensor(data[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        colour = build(name, Render(size=224, mode="overlap"), **settings)
        features = colour.tokens(x)[0]
        expected = reference((x / 255 - mean) / std)
        assert features.shape == (1, 384)
        assert torch.allclose(features, expected, atol=1e-4)
        grey = build(name, Render(size=224), **settings)
        one = x[:, :1]
        copies = colour.tokens(one.expand(-1, 3, -1, -1))[0]
        assert copies.abs().max() > 1
        assert torch.allclose(grey.tokens(one)[0], copies, atol=1e-3)


def test_real_dinov2_weights_load_at_another_size(real_weights, caplog):
    with caplog.at_level(logging.WARNING):
        model = build(
            "vit_small_patch14_dinov2",
            Render(size=112),
            pretrained=True,
            weights=str(real_weights),
        )
    assert model.backbone.pos_embed.shape == (1, 65, 384)
    assert not caplog.records
