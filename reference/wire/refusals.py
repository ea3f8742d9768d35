"""Why a broker ends a connection instead of answering."""


class CloseConnection(Exception):
    """The connection must be closed; other connections are not concerned."""


class MalformedRequest(CloseConnection):
    """The frame is not a request that this broker serves. Kafka closes the connection, too."""
