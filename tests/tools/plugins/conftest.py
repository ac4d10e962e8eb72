from tests.tools.plugins.packages import install

__all__ = ["install"]
