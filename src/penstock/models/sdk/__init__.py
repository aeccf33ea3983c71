"""The transport that SDKs are given, and the formats that they speak."""
