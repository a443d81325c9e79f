"""Names that MXNet packages import; the server itself is ``model_service.server``."""
