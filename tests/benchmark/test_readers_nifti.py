"""NIfTI volumes: turned for display, windowed, held against limits; any damage is survived."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.datasets import nifti
from benchmark.datasets.readers import read_image
from zoo.errors import CovbenchError
from zoo.limits import limits

Refused = Callable[..., AbstractContextManager[None]]


def volume(tmp_path: Path, data: np.ndarray, affine: np.ndarray, name: str = "v.nii.gz") -> Path:
    path = tmp_path / name
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def test_slices_are_turned_for_display(tmp_path: Path):
    # Stored R, A, S: first index to the patient's right, second to the front, third up.
    data = np.zeros((4, 6, 3), np.int16)
    data[3, 5, 2] = 100  # the right, front, top corner
    data[0, 5, 0] = 50  # the left, front, bottom corner
    read = nifti.read_volume(volume(tmp_path, data, np.diag([0.5, 0.8, 2.0, 1])))
    assert read.values.shape == (3, 6, 4)
    assert read.values[2, 0, 0] == 100, "right is left, front is above, the top comes last"
    assert read.values[0, 0, 3] == 50
    assert read.spacing_mm == pytest.approx((0.8, 0.5))
    assert read.axes == "RAS"


@pytest.mark.parametrize("axes", ["LPS", "LAS", "SRP", "PIR", "ASL"])
def test_the_stored_order_of_axes_does_not_matter(tmp_path: Path, axes: str):
    rng = np.random.default_rng(1)
    data = rng.integers(-1000, 400, (5, 6, 4)).astype(np.int16)
    affine = np.array([[0.7, 0, 0, -10], [0, 0.9, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(data, affine)
    expected = nifti.read_volume(volume(tmp_path, data, affine))
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(axes))
    )
    nib.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    read = nifti.read_volume(tmp_path / "turned.nii.gz")
    np.testing.assert_array_equal(read.values, expected.values)
    assert read.spacing_mm == pytest.approx(expected.spacing_mm)
    nifti.check_same_grid(read, expected)


def test_headers_that_disagree_in_space_are_refused(tmp_path: Path, refused: Refused):
    data = np.zeros((4, 4, 2), np.int16)
    one = nifti.read_volume(volume(tmp_path, data, np.diag([-1.0, -1, 2, 1]), "one.nii"))
    two = nifti.read_volume(volume(tmp_path, data, np.eye(4), "two.nii"))
    with refused(one.path, "two.nii", "place their voxels differently"):
        nifti.check_same_grid(one, two)


def test_stored_order_keeps_the_slices(tmp_path: Path):
    data = np.zeros((4, 4, 3), np.uint8)
    data[..., 0] = 7
    path = volume(tmp_path, data, np.diag([-1.0, -1, -2, 1]))
    assert nifti.read_volume(path).values[-1].max() == 7, "the third axis points down"
    assert nifti.read_volume(path, stored_order=True).values[0].max() == 7
    sideways = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    path = volume(tmp_path, data, sideways)
    assert nifti.read_volume(path, stored_order=True).values[0].max() == 7


def test_two_dimensions_make_one_slice(tmp_path: Path):
    path = volume(tmp_path, np.ones((4, 6), np.uint8), np.eye(4))
    assert nifti.read_volume(path).values.shape == (1, 6, 4)
    assert not nifti.is_volume(path)
    assert nifti.is_volume(volume(tmp_path, np.ones((4, 6, 2, 1), np.uint8), np.eye(4)))


def test_units_of_the_header_are_turned_into_millimetres(tmp_path: Path):
    image = nib.Nifti1Image(np.ones((4, 4, 2), np.uint8), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "m.nii")
    assert nifti.read_volume(tmp_path / "m.nii").spacing_mm == pytest.approx((2.0, 1.0))


def test_scaled_voxels_are_scaled(tmp_path: Path):
    image = nib.Nifti1Image(np.array([[[0.0], [500.0]], [[-1000.0], [40.0]]]), np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "s.nii.gz")
    read = nifti.read_volume(tmp_path / "s.nii.gz").values
    np.testing.assert_allclose(np.sort(read.ravel()), [-1000, 0, 40, 500], atol=0.05)


def test_hounsfield_units_and_windowed_greys_are_told_apart(tmp_path: Path):
    def grey(*values: float, dtype: type = np.int16) -> list[int]:
        data = np.array(values, dtype).reshape(1, 1, -1)
        data = np.broadcast_to(data, (2, 2, data.size))
        read = nifti.read_volume(volume(tmp_path, data, np.eye(4)))
        return [int(plane[0, 0]) for plane in nifti.grey_slices(read, None)]

    assert grey(-1250, -500, 250, 900) == [0, 128, 255, 255]
    assert grey(0, 17, 255) == [0, 17, 255]
    for strange in ((0, 1500), (-50, 60)):
        with pytest.raises(CovbenchError, match="neither Hounsfield"):
            grey(*strange)
    with pytest.raises(CovbenchError, match="neither Hounsfield"):
        grey(0, 0.5, 1, dtype=np.float32)


def test_nan_voxels_are_refused(tmp_path: Path, refused: Refused):
    data = np.zeros((4, 4, 2), np.float32)
    data[1, 1, 1] = np.inf
    path = volume(tmp_path, data, np.eye(4))
    with refused(path, "1 values that are NaN or infinite"):
        nifti.read_volume(path)


def claiming(tmp_path: Path, shape: tuple[int, int, int], name: str) -> Path:
    """A NIfTI file of a few bytes whose header claims a shape."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.int16)
    header.set_sform(np.eye(4), code=1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    data = header.binaryblock + b"\0" * 132
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_a_header_that_claims_terabytes_is_refused_before_allocation(
    tmp_path: Path, name: str, refused: Refused
):
    path = claiming(tmp_path, (30_000, 30_000, 30_000), name)
    with refused(path, "was not read", "limit 4 GiB"):
        nifti.read_volume(path)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_a_header_that_claims_more_than_the_file_can_hold_is_refused(
    tmp_path: Path, name: str, refused: Refused
):
    path = claiming(tmp_path, (512, 512, 700), name)
    with refused(path, "truncated"):
        nifti.read_volume(path)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.7])
def test_a_truncated_volume_is_refused(tmp_path: Path, name: str, part: float, refused: Refused):
    data = np.random.default_rng(0).integers(-1000, 400, (32, 32, 8)).astype(np.int16)
    path = volume(tmp_path, data, np.eye(4), name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with refused(path):
        nifti.read_volume(path)


def test_what_is_no_grey_volume_is_refused(tmp_path: Path, refused: Refused):
    path = volume(tmp_path, np.zeros((4, 4, 2, 3), np.uint8), np.eye(4))
    with refused(path, "three dimensions"):
        nifti.read_volume(path)
    path = volume(tmp_path, np.zeros((4, 4, 2), np.complex64), np.eye(4))
    with refused(path, "no grey values"):
        nifti.read_volume(path)
    path = volume(tmp_path, np.zeros((4, 4, 1), np.uint8), np.eye(4)[[2, 0, 1, 3]])
    with refused(path, "not axial"):
        nifti.read_volume(path)
    path = volume(tmp_path, np.zeros((4, 4, 2), np.uint8), np.eye(4), "flat.nii")
    data = bytearray(path.read_bytes())
    data[312:328] = bytes(16)  # the row of the orientation that leads upwards
    path.write_bytes(bytes(data))
    with refused(path, "orientation"):
        nifti.read_volume(path)
    with refused(tmp_path / "none.nii", "does not exist"):
        nifti.read_volume(tmp_path / "none.nii")


def test_the_limits_admit_real_scans():
    assert limits().volume_voxels > 512 * 512 * 1000
    assert limits().volume_bytes > 512 * 512 * 1000 * 4
    assert limits().image_pixels > 4096 * 4096


@pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="real scans not present")
def test_real_scans_are_read():
    scans = Path(os.environ["COVBENCH_SHARED"]) / "data/HU_samples/TotalSegmentator"
    cropped = nifti.read_volume(scans / "pulmonary_ct_cropped.nii.gz")
    assert (cropped.axes, cropped.values.shape) == ("LPS", (112, 102, 122))
    assert cropped.spacing_mm == pytest.approx((1.5, 1.5))
    small = nifti.read_volume(scans / "example_ct_sm.nii.gz")
    assert (small.axes, small.values.shape) == ("RAS", (30, 101, 122))
    labels = nifti.read_volume(scans / "example_seg.nii.gz")
    nifti.check_same_grid(small, labels)
    grey = nifti.grey_slices(small, None)
    # The spine lies at the back: in every slice the lower half holds more bone than the upper.
    bone = (small.values > 300) & (grey == 255)
    assert bone[:, 50:].sum() > bone[:, :50].sum()
    assert labels.axes == "RAS"


def bytes_of(kind: str) -> bytes:
    if kind == "nii":
        data = np.arange(60, dtype=np.int16).reshape(4, 5, 3)
        return nib.Nifti1Image(data, np.diag([-1.0, -1, 2, 1])).to_bytes()
    out = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5).save(out, format=kind)
    return out.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:nibabel")
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "nii"])
def test_any_damage_is_read_or_refused_but_never_a_traceback(tmp_path: Path, kind: str):
    whole = bytes_of(kind)
    path = tmp_path / f"fuzzed.{kind.lower()}"

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        spots=st.lists(
            st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=8
        ),
        end=st.integers(0, len(whole)),
    )
    def damage(spots: list[tuple[int, int]], end: int) -> None:
        data = bytearray(whole)
        for at, value in spots:
            data[at] = value
        path.write_bytes(bytes(data[:end]) if end % 3 == 0 else bytes(data))
        try:
            if kind == "nii":
                grey = nifti.grey_slices(nifti.read_volume(path), None)
            else:
                grey = read_image(path)
        except CovbenchError as error:
            assert path.name in error.problem
        else:
            assert grey.dtype == np.uint8

    damage()
