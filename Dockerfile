FROM condaforge/miniforge3:latest
LABEL io.github.snakemake.containerized="true"
LABEL io.github.snakemake.conda_env_hash="05ba10dc3eaec08e0e5f3da3b33a30c27e99c15032eca58efc245681351fce2a"
# Conda environment:
#   source: workflow/envs/download.yaml
#   prefix: /conda-envs/a701c837046fa0b894df3fc05588f587
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - numpy =2.4
#     - numba =0.68
#     - requests =2.34
#     - tqdm =4.70
#     - urllib3 =2.8
RUN mkdir -p /conda-envs/a701c837046fa0b894df3fc05588f587
COPY workflow/envs/download.yaml /conda-envs/a701c837046fa0b894df3fc05588f587/environment.yaml
# Conda environment:
#   source: workflow/envs/genomics.yaml
#   prefix: /conda-envs/343fd91c4747025f87e0792e24ac4ede
#   channels:
#     - conda-forge
#     - bioconda
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - numpy =2.4
#     - numba =0.68
#     - tqdm =4.70
RUN mkdir -p /conda-envs/343fd91c4747025f87e0792e24ac4ede
COPY workflow/envs/genomics.yaml /conda-envs/343fd91c4747025f87e0792e24ac4ede/environment.yaml
# Conda environment:
#   source: workflow/envs/gkm.yaml
#   prefix: /conda-envs/08ad16dfa974e5ffdfbf4fa736acb07f
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - numpy =2.4
#     - numba =0.68
#     - scikit-learn =1.9
#     - tqdm =4.70
RUN mkdir -p /conda-envs/08ad16dfa974e5ffdfbf4fa736acb07f
COPY workflow/envs/gkm.yaml /conda-envs/08ad16dfa974e5ffdfbf4fa736acb07f/environment.yaml
# Conda environment:
#   source: workflow/envs/lsgkm.yaml
#   prefix: /conda-envs/5468d56a1051c61989e2216255ad47e4
#   channels:
#     - conda-forge
#     - bioconda
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - ls-gkm =0.1.1
#     - numpy =2.4
#     - numba =0.68
#     - scikit-learn =1.9
#     - tqdm =4.70
RUN mkdir -p /conda-envs/5468d56a1051c61989e2216255ad47e4
COPY workflow/envs/lsgkm.yaml /conda-envs/5468d56a1051c61989e2216255ad47e4/environment.yaml
# Conda environment:
#   source: workflow/envs/mining.yaml
#   prefix: /conda-envs/d86ee05f8538b47d54576577567a71c4
#   channels:
#     - conda-forge
#     - bioconda
#     - nodefaults
#   # TF-MoDISco is no part of it, as of what `make` installs; see README.md, "Use a trained model".
#   dependencies:
#     - python =3.11
#     - pytorch =2.13
#     - numpy =2.4
#     - numba =0.68
#     - safetensors =0.8
#     - scikit-learn =1.9
#     - matplotlib-base =3.11
#     - pandas =3.1
#     - scipy =1.17
#     - logomaker =0.8
#     - pysam =0.24
#     - pybigwig =0.3
#     - tqdm =4.70
#     - pip =26.3
#     - pip:
#         - memelite ==0.5.0
RUN mkdir -p /conda-envs/d86ee05f8538b47d54576577567a71c4
COPY workflow/envs/mining.yaml /conda-envs/d86ee05f8538b47d54576577567a71c4/environment.yaml
# Conda environment:
#   source: workflow/envs/plots.yaml
#   prefix: /conda-envs/1e15de3f8edae37c5e9a3871e7993bb4
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - numpy =2.4
#     - numba =0.68
#     - matplotlib-base =3.11
#     - scikit-learn =1.9
#     - tqdm =4.70
RUN mkdir -p /conda-envs/1e15de3f8edae37c5e9a3871e7993bb4
COPY workflow/envs/plots.yaml /conda-envs/1e15de3f8edae37c5e9a3871e7993bb4/environment.yaml
# Conda environment:
#   source: workflow/envs/torch.yaml
#   prefix: /conda-envs/6e8871c2837815e63238d5520163ee77
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python =3.11
#     - pytorch =2.13
#     - numpy =2.4
#     - numba =0.68
#     - safetensors =0.8
#     - scikit-learn =1.9
#     - tqdm =4.70
RUN mkdir -p /conda-envs/6e8871c2837815e63238d5520163ee77
COPY workflow/envs/torch.yaml /conda-envs/6e8871c2837815e63238d5520163ee77/environment.yaml

RUN conda env create --prefix /conda-envs/a701c837046fa0b894df3fc05588f587 --file /conda-envs/a701c837046fa0b894df3fc05588f587/environment.yaml && \
    conda env create --prefix /conda-envs/343fd91c4747025f87e0792e24ac4ede --file /conda-envs/343fd91c4747025f87e0792e24ac4ede/environment.yaml && \
    conda env create --prefix /conda-envs/08ad16dfa974e5ffdfbf4fa736acb07f --file /conda-envs/08ad16dfa974e5ffdfbf4fa736acb07f/environment.yaml && \
    conda env create --prefix /conda-envs/5468d56a1051c61989e2216255ad47e4 --file /conda-envs/5468d56a1051c61989e2216255ad47e4/environment.yaml && \
    conda env create --prefix /conda-envs/d86ee05f8538b47d54576577567a71c4 --file /conda-envs/d86ee05f8538b47d54576577567a71c4/environment.yaml && \
    conda env create --prefix /conda-envs/1e15de3f8edae37c5e9a3871e7993bb4 --file /conda-envs/1e15de3f8edae37c5e9a3871e7993bb4/environment.yaml && \
    conda env create --prefix /conda-envs/6e8871c2837815e63238d5520163ee77 --file /conda-envs/6e8871c2837815e63238d5520163ee77/environment.yaml && \
    conda clean --all -y
