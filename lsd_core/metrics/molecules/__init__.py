"""Metrics of molecules written as SMILES, with the definitions of MOSES (Polykovskiy et al. 2020), by rdkit and fcd."""
