"""Four folders of the checkout become one package; everything else about the build is in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = {
    "genzoo": "zoo",
    "genzoo.tasks": "tasks",
    "genzoo.leaderboards": "leaderboards",
    "genzoo.reports": "reports",
}

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{inner}" for inner in find_packages(folder)))
    ],
)
