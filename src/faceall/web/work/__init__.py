"""Background work of the server: registration jobs, uploaded files, batches for the networks.

===============  ================================================================
`jobs`           `Jobs`, registrations that continue after their request ended
`uploads`        `Uploads`, the uploaded files in the gallery's folder
`file_names`     file names from forms as safe paths
`batching`       `Worker`, one model shared by many threads
`queues`         `BatchQueue` and `Request`, what `Worker` is made of
`memory`         returns the memory of decoded images to the system
`sharing`        `open_shared`, a gallery whose model is shared by threads
===============  ================================================================
"""
