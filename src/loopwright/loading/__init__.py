"""From the setting ``model`` to an engine that carries out plans, in this order.

1. ``selection`` turns the setting into a model's key, and says why. Requests name finetunes by key.
2. ``families`` finds the key's family in the table of what can be loaded, a row per family.
3. ``backend`` chooses engine, device and precision from the settings, within what it allows.
4. ``loader`` hands all that to the family's ``load``. ``pocket`` reads the package; others find
   their files first: ``stable_audio`` by ``model_source``, ``hub`` and ``finetunes``. It loads them
   in torch (``accelerate``) or converts them (``openvino/``), with torch serving meanwhile.
5. ``tuning`` measures once per machine which batch and tile sizes are quickest.
6. ``loader`` puts model, limits and batch size into an engine.
"""
