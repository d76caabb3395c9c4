"""Training on data of one's own: AdamW, a warm-up and a cosine, an early end, and recipes for small data."""

train_cfg = dict(max_epochs=60, val_interval=2, patience=10)
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, end=0.05, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0.05, eta_min_ratio=0.01, convert_to_iter_based=True),
]
recipes = [
    dict(
        up_to=100,
        train_dataloader=dict(batch_size=8),
        # A handful to validate on says little: the best of a few epochs, and no early end.
        train_cfg=dict(max_epochs=200, val_interval=50, patience=None),
    ),
    dict(up_to=1000, train_cfg=dict(max_epochs=100, val_interval=10, patience=4)),
]
seed = 0
