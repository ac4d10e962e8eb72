"""The deployment backend: a SuperLink and SuperNodes as processes, over TLS, here or on several machines."""
