DROP INDEX inputs_id_image_idx;
