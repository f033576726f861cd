"""The home folder of version 0.1.0, unpacked at a place of the test's own."""

import sqlite3
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).with_name("home.tar.xz")
PLACEHOLDER = "LSD_HOME_FOLDER"


def unpack_home(folder: Path) -> Path:
    """Write the store and the registry of `home.tar.xz` into a folder that exists."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for file in folder.rglob("MLmodel"):
        file.write_text(file.read_text().replace(PLACEHOLDER, str(folder)))
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.executescript((folder / "mlflow.sql").read_text().replace(PLACEHOLDER, str(folder)))
    database.close()
    return folder
