"""The canonical schema: one typed, frozen, three-valued record per entity."""
