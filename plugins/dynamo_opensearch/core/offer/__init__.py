"""Offering: what was read of the table, stamped with when it was known to be true, written to an index.

Every DAG of the package ends here. An offer may be made twice, late, in any order and beside the live indexer.
"""
