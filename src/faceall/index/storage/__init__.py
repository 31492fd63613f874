"""The database of an index: connections, tables, transactions and snapshots."""
