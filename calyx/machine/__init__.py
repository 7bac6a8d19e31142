"""What this machine is: processors, device, limits of its container, proxies, ports."""
