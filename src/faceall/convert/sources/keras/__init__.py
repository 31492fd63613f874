"""Keras files: archives and HDF5 (`files`, `hdf5`), models (`models`) and layers (`layers`)."""
