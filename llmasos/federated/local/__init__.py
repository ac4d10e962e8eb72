"""The local backend: unchanged Flower strategies and ClientApps in processes of this machine."""
