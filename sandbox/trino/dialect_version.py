"""The version that the stand-in says it is. Apart, so that workers need not load the SQL parts."""

VERSION = "480"
