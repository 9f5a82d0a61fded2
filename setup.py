"""Build and install `dff`, with its operators compiled into `dff.ops._C`.

The CPU kernels are built always. The CUDA kernels are built where nvcc is found
(CUDA_HOME) and torch is a CUDA build and sees a device, or FORCE_CUDA=1 is set.
TORCH_CUDA_ARCH_LIST and MAX_JOBS mean what they mean to torch.
"""

import os
import platform
import re
import sys
from pathlib import Path

from setuptools import find_packages, setup
from torch.utils import cpp_extension

ROOT = Path(__file__).resolve().parent
CSRC = Path('projects/dff/ops/csrc')

# -g0 and no debug checks: a third of the build time, a tenth of the size.
CXX_FLAGS = ['-O3', '-g0', '-DNDEBUG', '-std=c++17', '-fvisibility=hidden']
NVCC_FLAGS = ['-O3', '-DNDEBUG', '-std=c++17', '--expt-relaxed-constexpr']


def read_version():
    """Return the version that the package states."""
    text = (ROOT / 'projects/dff/__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def openmp_flags():
    """Return (compile, link) flags; without them at::parallel_for is a serial loop."""
    if sys.platform == 'darwin':
        return ['-Xpreprocessor', '-fopenmp'], ['-lomp']
    return ['-fopenmp'], ['-fopenmp']


def is_x86():
    """Say whether the AVX2 and AVX-512 kernels can be compiled here."""
    return platform.machine().lower() in ('x86_64', 'amd64')


def wants_cuda():
    """Say whether the CUDA kernels are to be built."""
    if os.environ.get('FORCE_CUDA', '0') == '1':
        return True
    from torch.cuda import is_available
    return cpp_extension.CUDA_HOME is not None and is_available()


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


setup(
    name='dff',
    version=read_version(),
    package_dir={'': 'projects'},
    packages=find_packages('projects'),
    ext_modules=[make_extension()],
    cmdclass={'build_ext': cpp_extension.BuildExtension},
)
