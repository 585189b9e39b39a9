"""What other systems read: a receipt as a Kantara consent receipt, as JSON-LD in DPV terms, as a row of a table."""

from consent_middleware.records.formats.dpv import to_json_ld
from consent_middleware.records.formats.kantara import to_kantara
from consent_middleware.records.formats.rows import CSV_FIELDS, to_csv_row

__all__ = ["CSV_FIELDS", "to_csv_row", "to_json_ld", "to_kantara"]
