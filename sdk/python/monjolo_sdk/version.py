"""The version of the SDK, which a manifest names."""

SDK_VERSION = "0.1.0"
