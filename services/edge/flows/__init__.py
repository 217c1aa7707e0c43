"""The one use case: decide a check."""
