"""Topics whose records stay until a test deletes them."""

from collections.abc import Mapping

KEPT: Mapping[str, str] = {"retention.ms": "-1"}
"""Records in tests bear small timestamps. By retention.ms they expired long ago, so that a broker
that looks for expired segments at the wrong moment would rightly delete what a test reads."""
