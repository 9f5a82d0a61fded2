"""Build and install `dff`, with its operators compiled into `dff.ops._C`.

    pip wheel . --no-build-isolation --no-deps          # a wheel
    pip install -e . --no-build-isolation --no-deps --no-use-pep517   # editable

Both contain `dff/.mim`, where mim and `_base_ = 'dff::…'` look for configs and tools.
They find the package in an editable install only if it is a legacy one.

The CPU kernels are always built. The CUDA kernels are built if torch has CUDA and
CUDA_HOME has nvcc; FORCE_CUDA=1 or FORCE_CUDA=0 overrides this. TORCH_CUDA_ARCH_LIST
and MAX_JOBS work as in torch.
"""

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

try:
    import torch
    from torch.utils import cpp_extension
except ImportError as error:
    raise SystemExit(
        f'dff: cannot import torch ({error}), but the operators need it to compile. '
        'Install the pinned packages first (`bash tools/setup_env.sh`, or `pip install '
        'torch==2.11.0`), then build without isolation, so that the build finds torch: '
        '`pip wheel . --no-build-isolation --no-deps`.'
    ) from None

ROOT = Path(__file__).resolve().parent
CSRC = Path('projects/dff/ops/csrc')
MIM_PARTS = ('configs', 'tools', 'model-index.yml')
# Tools that need `dff_study`, which is not in the wheel, and their old paths.
STUDY_TOOLS = (
    'study',
    'docs',
    'quickstart.*',
    'check_parity.py',
    'run_variants.py',
    'split_points.py',
    'tradeoff.py',
    'draw_features.py',
    'draw_flow.py',
    'draw_strip.py',
)

# -g0 and no debug checks: a third of the build time, a tenth of the size.
CXX_FLAGS = ['-O3', '-g0', '-DNDEBUG', '-std=c++17', '-fvisibility=hidden']
CUDA_ARCHITECTURES = '8.0;9.0;10.0+PTX'
NVCC_FLAGS = ['-O3', '-DNDEBUG', '-std=c++17', '--expt-relaxed-constexpr']


def read_version():
    """Return `__version__` of the package."""
    text = (ROOT / 'projects/dff/__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def openmp_flags():
    """Return (compile, link) flags; without them at::parallel_for is a serial loop."""
    if sys.platform == 'darwin':
        return ['-Xpreprocessor', '-fopenmp'], ['-lomp']
    return ['-fopenmp'], ['-fopenmp']


def is_x86():
    """Check whether the AVX2 and AVX-512 kernels can be compiled here."""
    return platform.machine().lower() in ('x86_64', 'amd64')


def wants_cuda():
    """Check whether to build the CUDA kernels; FORCE_CUDA=1 or 0 overrides."""
    forced = os.environ.get('FORCE_CUDA')
    if forced is not None:
        return forced == '1'
    home = cpp_extension.CUDA_HOME
    has_nvcc = home is not None and (Path(home) / 'bin/nvcc').exists()
    return has_nvcc and torch.version.cuda is not None


def choose_cuda_architectures():
    """Set the architectures to build for if neither the user nor a device does."""
    if not torch.cuda.is_available():
        os.environ.setdefault('TORCH_CUDA_ARCH_LIST', CUDA_ARCHITECTURES)


def list_sources(folder, suffix):
    """Return the sources in csrc/folder, relative to the root as setuptools asks."""
    files = sorted((ROOT / CSRC / folder).glob(f'*{suffix}'))
    return [str(path.relative_to(ROOT)) for path in files]


def make_extension():
    """Return the extension `dff.ops._C`."""
    compile_openmp, link_openmp = openmp_flags()
    sources = list_sources('.', '.cpp') + list_sources('cpu', '.cpp')
    macros = [('DFF_WITH_X86_KERNELS', None)] if is_x86() else []
    flags = {'cxx': CXX_FLAGS + compile_openmp}
    extension = cpp_extension.CppExtension
    if wants_cuda():
        choose_cuda_architectures()
        extension = cpp_extension.CUDAExtension
        sources += list_sources('cuda', '.cu')
        macros.append(('DFF_WITH_CUDA', None))
        flags['nvcc'] = NVCC_FLAGS
    return extension(
        'dff.ops._C',
        sources,
        include_dirs=[str(ROOT / CSRC)],
        define_macros=macros,
        extra_compile_args=flags,
        extra_link_args=link_openmp + ['-Wl,-s'],
    )


def read_requirements(name):
    """Return the requirements in requirements/NAME.txt."""
    text = (ROOT / f'requirements/{name}.txt').read_text(encoding='utf-8')
    lines = (line.split('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith('-')]


class BuildWithMim(build_py):
    """Copy configs and tools for mim into the built package."""

    def run(self):
        """Copy the Python files, then configs, tools and the index."""
        # Files of an earlier build would go into the wheel.
        shutil.rmtree(Path(self.build_lib) / 'dff', ignore_errors=True)
        super().run()
        target = Path(self.build_lib) / 'dff/.mim'
        target.mkdir(parents=True)
        ignore = shutil.ignore_patterns('__pycache__', '*.py[cod]', *STUDY_TOOLS)
        for part in MIM_PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, target / part, ignore=ignore)
            else:
                shutil.copy2(ROOT / part, target / part)


class DevelopWithMim(develop):
    """Link configs and tools for mim, so edits take effect at once."""

    def run(self):
        """Make the links, then install in place."""
        target = ROOT / 'projects/dff/.mim'
        target.mkdir(exist_ok=True)
        for part in MIM_PARTS:
            link = target / part
            if link.is_symlink():
                link.unlink()
            link.symlink_to(os.path.relpath(ROOT / part, target))
        super().run()


setup(
    name='dff',
    version=read_version(),
    description='Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x',
    license='Apache-2.0',
    python_requires='>=3.11',
    install_requires=read_requirements('runtime'),
    extras_require={name: read_requirements(name) for name in ('tests', 'video')},
    package_dir={'': 'projects'},
    packages=find_packages('projects', include=['dff', 'dff.*']),
    ext_modules=[make_extension()],
    cmdclass={
        'build_ext': cpp_extension.BuildExtension,
        'build_py': BuildWithMim,
        'develop': DevelopWithMim,
    },
    zip_safe=False,
)
