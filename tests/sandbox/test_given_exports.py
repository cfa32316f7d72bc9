from __future__ import annotations

import zipfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from sandbox_client import events, unzip

REAL = Path(__file__).parents[3] / "shared" / "real-exports"
real_exports = pytest.mark.skipif(not REAL.is_dir(), reason="the real exports are not beside the repository")


@pytest.fixture
def folder(tmp_path, zip_of):
    names = ("7/7_2026-01-14_9#627.json.gz", "7/7_2026-01-14_10#70.json.gz", "7/", "7/readme.txt")
    (tmp_path / "20260114T00_20260114T23.zip").write_bytes(zip_of(*names))
    (tmp_path / "20260115T00_20260115T23.zip").write_bytes(zip_of("7/7_2026-01-15_0#0.json.gz"))
    (tmp_path / "20260116T00_20260116T23.zip").write_bytes(b"PK\x03\x04 and then nothing good")
    return tmp_path


@pytest.mark.parametrize("day", [14, 15, 16])
def test_a_files_own_window_is_served_byte_for_byte(serve, folder, day):
    window = (f"202601{day}T00", f"202601{day}T23")
    response = serve(exports=folder).get(*window)
    assert response.headers["Content-Type"] == "application/zip"
    assert response.content == (folder / "{}_{}.zip".format(*window)).read_bytes()


def test_other_windows_are_rebuilt_from_members(serve, folder):
    client = serve(exports=folder)
    assert list(unzip(client.get("20260114T10", "20260116T05").content)) == [
        "7/7_2026-01-14_10#70.json.gz",
        "7/7_2026-01-15_0#0.json.gz",
    ]
    assert list(unzip(client.get("20260114T09").content)) == ["7/7_2026-01-14_9#627.json.gz"]


@pytest.mark.parametrize("window", [("20260114T00", "20260114T08"), ("20260116T00", "20260116T22")])
def test_a_window_without_members_is_404(serve, folder, window):
    response = serve(exports=folder).get(*window)
    assert (response.status_code, response.text) == (404, "Raw data files were not found.")


def test_files_that_come_change_and_go_are_seen(serve, folder, zip_of):
    client = serve(exports=folder)
    assert client.get("20260117T03").status_code == 404
    file = folder / "later.zip"
    file.write_bytes(zip_of("7/7_2026-01-17_3#0.json.gz"))
    assert client.get("20260117T03").status_code == 200
    file.write_bytes(zip_of("7/7_2026-01-17_11#0.json.gz"))
    assert client.get("20260117T03").status_code == 404
    assert client.get("20260117T11").status_code == 200
    file.unlink()
    assert client.get("20260117T11").status_code == 404


def test_a_member_in_two_files_is_served_once(serve, folder, zip_of):
    (folder / "again.zip").write_bytes(zip_of("7/7_2026-01-14_9#627.json.gz"))
    assert len(unzip(serve(exports=folder).get("20260114T09").content)) == 1


def test_deflated_exports_are_rebuilt_as_stored(serve, tmp_path, zip_of):
    (tmp_path / "any.zip").write_bytes(zip_of("7/7_2026-01-14_9#0.json.gz", method=zipfile.ZIP_DEFLATED))
    assert events(serve(exports=tmp_path).get("20260114T09").content) == [{"uuid": "1"}]


def test_an_empty_folder_has_no_data(serve, tmp_path):
    assert serve(exports=tmp_path).get("20260114T09").status_code == 404


@real_exports
def test_real_days(serve):
    client = serve(exports=REAL)
    total = 0
    for at in range(15):
        day = f"{date(2023, 2, 2) + timedelta(days=at):%Y%m%d}"
        response = client.get(f"{day}T00", f"{day}T23")
        if day == "20230210":
            assert response.status_code == 404
        else:
            total += len(events(response.content))
    assert total == 46
    assert len(events(client.get("20230202T00", "20230216T23").content)) == 46
