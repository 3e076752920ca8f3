"""R2SCVI and R2SCANVI: scvi-tools at ratio 0; all its verbs; genes by name, missing ones hidden."""

from __future__ import annotations

import numpy as np
import pytest
import scvi
import torch
from scipy import sparse
from scvi.data import synthetic_iid

from r2mae_bio import pp
from r2mae_bio._errors import ConfigError, GeneCoverageError
from r2mae_bio.integrations.scvi import R2SCANVI, R2SCVI
from r2mae_bio.masking import Uniform

from ..quiet import QUIETLY

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread):
    """In all tests of this module."""


def cells(**changes):
    scvi.settings.seed = 0
    return synthetic_iid(batch_size=100, **changes)


def trained(cls, adata, epochs=2, **settings):
    cls.setup_anndata(adata, batch_key="batch", labels_key="labels")
    scvi.settings.seed = 0
    model = cls(adata, **settings)
    model.train(epochs, **QUIETLY)
    return model


@pytest.fixture(scope="module")
def model():
    return trained(R2SCVI, cells(), 5)


@pytest.mark.parametrize("settings", [{}, {"use_observed_lib_size": False}, {"gene_likelihood": "nb", "n_layers": 2}])
def test_a_ratio_of_0_is_scvi(settings):
    theirs, ours = trained(scvi.model.SCVI, cells(), **settings), trained(R2SCVI, cells(), mask_ratio=0, **settings)
    np.testing.assert_allclose(theirs.get_latent_representation(), ours.get_latent_representation(), atol=1e-6)
    elbo = []
    for made in (theirs, ours):
        scvi.settings.seed = 0
        elbo.append(float(made.get_elbo()))
    assert elbo[0] == pytest.approx(elbo[1], rel=1e-6)


def test_a_seed_gives_the_same_model_and_the_law_matters(model):
    again, other = trained(R2SCVI, cells(), 5), trained(R2SCVI, cells(), 5, mask_ratio=0.5)
    latent = model.get_latent_representation()
    np.testing.assert_array_equal(latent, again.get_latent_representation())
    assert np.abs(latent - other.get_latent_representation()).max() > 1e-3


def test_a_law_has_its_own_scope_unless_told():
    adata = cells()
    R2SCVI.setup_anndata(adata)
    batch = Uniform(0, 1, scope="batch")
    settings = ({}, {"mask_ratio": batch}, {"mask_ratio": batch, "mask_scope": "row"}, {"mask_scope": "batch"})
    assert [R2SCVI(adata, **given).module.law.scope for given in settings] == ["row", "batch", "row", "batch"]
    with pytest.raises(ConfigError, match="needed is 'row' or 'batch'"):
        R2SCVI(adata, mask_ratio=Uniform(0, 1, scope="rectangle"))


@pytest.mark.parametrize("store", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=["dense", "csr", "csc"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("cls", [R2SCVI, R2SCANVI])
def test_counts_may_be_bytes(cls, dtype, store):
    def made(kind):
        adata = cells()
        adata.X = store(np.minimum(adata.X, 127).astype(kind))
        settings = {"unlabeled_category": "label_0"} if cls is R2SCANVI else {}
        cls.setup_anndata(adata, batch_key="batch", labels_key="labels", **settings)
        scvi.settings.seed = 0
        model = cls(adata)
        model.train(1, **QUIETLY)
        return model

    bytes_, wide = made(dtype), made(np.float32)
    torch.testing.assert_close(bytes_.module.gene_mean, wide.module.gene_mean)
    torch.testing.assert_close(bytes_.module.gene_share, wide.module.gene_share)
    np.testing.assert_allclose(bytes_.get_latent_representation(), wide.get_latent_representation(), atol=1e-4)


def test_genes_are_found_by_name_and_missing_ones_hidden(model):
    whole = model.get_latent_representation()
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_allclose(model.get_latent_representation(cells()[:, order].copy()), whole, atol=1e-5)
    panel = cells()[:, order[:50]].copy()
    hidden = model.get_latent_representation(panel)
    zeros = cells()
    zeros.X[:, order[50:]] = 0
    assert np.abs(hidden - model.get_latent_representation(zeros)).max() > 1e-2
    np.testing.assert_array_equal(model.get_latent_representation(), whole)  # nothing of the panel is left
    assert model.get_normalized_expression(panel, n_samples=1).shape == (200, 100)
    assert len(model._per_instance_manager_store[model.id]) < 6  # aligned data are not kept for ever


def test_a_missing_gene_is_the_mean_gene(model):
    module = model.module.eval()
    x = torch.from_numpy(np.asarray(cells().X, np.float32))
    module.measured = torch.arange(100) < 60
    seen = []
    handle = module.z_encoder.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    with torch.inference_mode(), module._seeing(x) as shown:
        module.z_encoder(torch.log1p(shown), torch.zeros(200, 1))
        found = module._regular_inference(x, torch.zeros(200, 1))["library"]
    handle.remove()
    module.measured = None
    torch.testing.assert_close(shown[:, :60], x[:, :60])
    assert not shown[:, 60:].any()
    share = x[:, :60].sum(1) / module.gene_share[:60].sum()
    torch.testing.assert_close(found[:, 0], share.log())


def test_cells_of_other_genes_or_of_several_panels_are_refused(model):
    strange = cells()
    strange.var_names = [f"x{i}" for i in range(100)]
    with pytest.raises(GeneCoverageError, match="0 of the model's 100 genes"):
        model.get_latent_representation(strange)
    several = cells()
    several.var_names = several.var_names[::-1]
    several.X[np.ix_(several.obs["batch"] == "batch_0", range(30))] = 0
    pp.measured_by_batch(several, batch_key="batch")
    with pytest.raises(ConfigError, match="one panel at a time"):
        model.get_latent_representation(several)


def test_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "m", save_anndata=True)
    loaded = R2SCVI.load(tmp_path / "m", accelerator="cpu")
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    panel = cells()[:, :40].copy()
    np.testing.assert_array_equal(loaded.get_latent_representation(panel), model.get_latent_representation(panel))
    assert loaded.module.law == model.module.law


def test_loaded_with_permuted_genes(model, tmp_path):
    model.save(tmp_path / "m")
    permuted = cells()[:, ::-1].copy()
    loaded = R2SCVI.load(tmp_path / "m", permuted, accelerator="cpu")
    np.testing.assert_allclose(loaded.get_latent_representation(), model.get_latent_representation(), atol=1e-6)
    with pytest.raises(ConfigError, match="in another order, and training goes by position"):
        loaded.train(1, **QUIETLY)
    again = R2SCVI.load(tmp_path / "m", permuted[:, loaded.r2mae_genes_].copy(), accelerator="cpu")  # as the message says
    again.train(1, **QUIETLY)
    query = permuted.copy()
    query.obs["batch"] = "new"
    with pytest.raises(ConfigError, match="prepare_query_anndata"):
        R2SCVI.load_query_data(query, model).train(1, **QUIETLY)


def test_verbs_of_scvi(model):
    assert model.differential_expression(groupby="labels", group1="label_1", silent=True).shape[0] == 100
    assert np.isfinite(float(model.get_elbo()))
    assert np.isfinite(float(model.get_reconstruction_error()["reconstruction_loss"]))
    assert model.posterior_predictive_sample(n_samples=2).shape == (200, 100, 2)
    assert model.get_latent_library_size(give_mean=False).shape == (200, 1)


def test_a_query_is_mapped_by_the_means_of_its_reference(model):
    query = cells()[:, ::-1].copy()
    query.obs["batch"] = "new"
    R2SCVI.prepare_query_anndata(query, model)
    mapped = R2SCVI.load_query_data(query, model)
    mapped.train(1, **QUIETLY, plan_kwargs={"weight_decay": 0.0})
    assert torch.equal(mapped.module.gene_mean, model.module.gene_mean)
    assert mapped.get_latent_representation().shape == (200, 10)


def test_genes_that_a_mapped_query_lacks_are_hidden_and_in_no_loss(model):
    panel = cells()[:, np.random.default_rng(0).permutation(100)[:40]].copy()
    prepared = R2SCVI.prepare_query_anndata(panel, model, inplace=False)
    assert prepared.var["r2mae_measured"].sum() == 40
    again = R2SCVI.prepare_query_anndata(prepared, model, inplace=False)  # the zeros are not taken for genes now
    assert again.var["r2mae_measured"].sum() == 40
    assert len(R2SCVI.prepare_query_anndata(panel, model, return_reference_var_names=True)) == 100
    mapped = R2SCVI.load_query_data(again, model)
    mapped.train(1, **QUIETLY, plan_kwargs={"weight_decay": 0.0})
    np.testing.assert_array_equal(mapped.module.measured, again.var["r2mae_measured"])
    np.testing.assert_allclose(mapped.get_latent_representation(), mapped.get_latent_representation(panel), atol=1e-6)
    permuted = again[:, ::-1].copy()
    np.testing.assert_allclose(mapped.get_latent_representation(permuted), mapped.get_latent_representation(), atol=1e-6)
    scored = []
    for data in (again, panel, permuted):
        torch.manual_seed(0)
        scored.append(float(mapped.get_reconstruction_error(data)["reconstruction_loss"]))
    assert scored == pytest.approx(scored[:1] * 3, rel=1e-4)
    zeros = again.copy()
    zeros.var["r2mae_measured"] = True
    assert scored[0] < 0.7 * float(mapped.get_reconstruction_error(zeros)["reconstruction_loss"])


def test_the_log_probability_of_a_panel_is_that_of_its_genes(model):
    module, x = model.module.eval(), torch.from_numpy(np.asarray(cells().X, np.float32))
    arguments = torch.zeros(200, 10), x.sum(1, keepdim=True).log(), torch.zeros(200, 1, dtype=torch.long)
    whole = module.generative(*arguments)["px"].log_prob(x)
    module.measured = torch.arange(100) < 60
    part = module.generative(*arguments)["px"].log_prob(x)
    module.measured = None
    torch.testing.assert_close(part[:, :60], whole[:, :60])
    assert not part[:, 60:].any()


def test_scanvi(model):
    made = R2SCANVI.from_scvi_model(model, unlabeled_category="label_0")
    made.train(1, **QUIETLY)
    assert made.module.law == model.module.law
    assert len(made.predict()) == 200
    panel = cells()[:, 60:].copy()
    assert made.predict(panel, soft=True).shape == (200, 2)
    np.testing.assert_array_equal(made.predict(cells()[:, ::-1].copy()), made.predict())


def test_scanvi_at_ratio_0():
    found = []
    for cls, settings in ((scvi.model.SCANVI, {}), (R2SCANVI, {"mask_ratio": 0})):
        adata = cells()
        cls.setup_anndata(adata, labels_key="labels", unlabeled_category="label_0", batch_key="batch")
        scvi.settings.seed = 0
        made = cls(adata, **settings)
        made.train(2, **QUIETLY)
        found.append(made.predict(soft=True).to_numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_without_cells_there_are_no_means(model):
    made = R2SCVI(registry=model.registry)
    with pytest.raises(ConfigError, match="training cells"):
        made.train(1)
