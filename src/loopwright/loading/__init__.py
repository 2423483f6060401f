"""From the setting ``model`` to an engine that carries out plans, in this order.

1. ``selection`` turns the setting into the key of a model and a reason. Finetunes are requested by key.
2. ``families`` finds the key's family: the table of what can be loaded, a row per family.
3. ``backend`` chooses engine, device and precision from the settings, as far as the family allows.
4. ``loader`` hands all that to the family's ``load``. ``pocket`` reads the package; ``stable_audio``
   finds files (``model_source``, by ``hub`` and ``finetunes``), then loads them in torch
   (``accelerate``) or converts them first (``openvino/``), with torch serving meanwhile.
5. ``tuning`` measures once per machine which batch and tile sizes are quickest.
6. ``loader`` puts model, limits and batch size into an engine.
"""
